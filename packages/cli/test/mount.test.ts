/** `strata mount`, `umount`, the list and `strata-overlay`, by both backends, really mounted. */
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parseChecked } from './support/schema.ts';
import { enterMountNamespace, hasFuse, ORDINARY, root, Stage } from './support/stage.ts';
import { bin, call, overlayCommand, strata, strataOverlay } from './support/strata.ts';

let stage: Stage;

beforeAll(enterMountNamespace);
beforeEach((context) => {
  context.skip(!root, 'needs root that may mount');
  stage = new Stage();
  stage.put('lower/file', 'from the lower');
  stage.put('lower/d/inner');
  for (const name of ['lower2', 'upper', 'work', 'merged']) stage.dir(name);
  return () => stage.destroy();
});

/** Options with `T/` standing for the stage. */
function here(text: string): string {
  return text.replaceAll('T/', `${stage.top}/`);
}

const GOOD = 'lowerdir=T/lower,upperdir=T/upper,workdir=T/work';

describe.each(['kernel', 'fuse'] as const)('the %s backend', (backend) => {
  beforeEach((context) => context.skip(backend === 'fuse' && !hasFuse, 'there is no /dev/fuse'));

  const mount = (text: string, ...rest: string[]) =>
    strata(['mount', '--backend', backend, '-o', here(text), ...(rest.length > 0 ? rest : [stage.at('merged')])]);
  const type = backend === 'kernel' ? 'overlay' : 'fuse.strata-overlay';

  it('mounts, lists and unmounts', async () => {
    const silent = { code: 0, stdout: '', stderr: '' };
    expect(await mount(`${GOOD},noatime`, 'my source', stage.at('merged'))).toMatchObject(silent);
    expect(stage.fstype('merged')).toBe(type);
    // The line in the mount table: the kernel's overlay shows its layers there, FUSE cannot.
    const row = fs
      .readFileSync('/proc/thread-self/mountinfo', 'latin1')
      .split('\n')
      .find((l) => l.includes(' my\\040source '));
    expect(row?.includes(stage.at('lower'))).toBe(backend === 'kernel');
    expect(row?.includes('upperdir=')).toBe(backend === 'kernel');
    fs.appendFileSync(stage.at('merged/file'), ' and more');
    expect(stage.read('upper/file')).toBe('from the lower and more');
    const listed = parseChecked((await strata(['mount', '--json'])).stdout);
    expect(listed.mounts).toContainEqual({
      mountPoint: stage.at('merged'),
      backend,
      state: 'live',
      source: 'my source',
      options: ['rw', 'noatime'],
      pid: backend === 'kernel' ? null : expect.any(Number),
      layers: {
        lowerdirs: [{ path: stage.at('lower') }],
        datadirs: [],
        upperdir: { path: stage.at('upper') },
        workdir: { path: stage.at('work') },
      },
      pending: 0,
    });
    const line = (await strata(['mount'])).stdout.split('\n').find((row) => row.startsWith(stage.at('merged')));
    expect(line?.split(/ {3,}/)).toEqual([
      stage.at('merged'),
      backend,
      'my source',
      stage.at('upper'),
      stage.at('lower'),
    ]);
    expect(await strata(['umount', stage.at('merged')])).toMatchObject(silent);
    expect(stage.mounts()).toEqual([]);
    expect(stage.processes()).toEqual([]);
  });

  it('warns of a lower that is the upper of a live mount, and refuses it with an index', async () => {
    expect(await strata(['mount', '--backend', 'fuse', '-o', here(GOOD), stage.at('merged')])).toMatchObject({
      code: 0,
    });
    for (const name of ['upper2', 'work2', 'merged2']) stage.dir(name);
    const layers = 'lowerdir=T/lower2:T/upper,upperdir=T/upper2,workdir=T/work2';
    const by = `lower layer '${stage.at('upper')}' is in use by the strata mount at '${stage.at('merged')}'`;
    const mounted = await mount(layers, stage.at('merged2'));
    expect(mounted).toMatchObject({ code: 0, stdout: '', stderr: expect.stringContaining(`warning: ${by}`) });
    expect(mounted.stderr.trim().split('\n')).toHaveLength(1);
    expect((await strata(['umount', stage.at('merged2')])).code).toBe(0);
    const refused = await mount(`${layers},index=on`, stage.at('merged2'));
    expect(refused).toMatchObject({ code: 32, stderr: expect.stringContaining(`${by} (process`) });
    expect((await strata(['umount', stage.at('merged')])).code).toBe(0);
  });

  it('renames a directory of the lower by default by FUSE, and as the module says by the kernel', async () => {
    const parameter = '/sys/module/overlay/parameters/redirect_dir';
    const follows = backend === 'fuse' || (fs.existsSync(parameter) && fs.readFileSync(parameter, 'latin1')[0] === 'Y');
    expect(await mount(GOOD)).toMatchObject({ code: 0 });
    const rename = () => fs.renameSync(stage.at('merged/d'), stage.at('merged/moved'));
    if (follows) {
      rename();
      expect(fs.readdirSync(stage.at('merged/moved'))).toEqual(['inner']);
      expect(fs.readdirSync(stage.at('upper/moved'))).toEqual([]);
      expect(fs.lstatSync(stage.at('upper/d')).isCharacterDevice()).toBe(true);
    } else {
      expect(rename).toThrow('EXDEV');
    }
    expect((await strata(['umount', stage.at('merged')])).code).toBe(0);
  });

  it('umount comes back when the layers are free', async () => {
    const layers = 'lowerdir=T/lower2/lower,upperdir=T/lower2/upper,workdir=T/lower2/work';
    execFileSync('mount', ['-t', 'tmpfs', 'layers', stage.at('lower2')]);
    for (const name of ['lower', 'upper', 'work']) fs.mkdirSync(stage.at(`lower2/${name}`));
    expect(await mount(layers, stage.at('merged'))).toMatchObject({ code: 0 });
    fs.writeFileSync(stage.at('merged/file'), 'text');
    expect((await strata(['umount', stage.at('merged')])).code).toBe(0);
    execFileSync('umount', [stage.at('lower2')]);
  });

  it('takes paths relative to the working directory, and any bytes in them', async () => {
    const odd = Buffer.concat([Buffer.from(`${stage.top}/odd `), Buffer.from([0xff, 0x0a]), Buffer.from(',:\\')]);
    fs.mkdirSync(odd);
    fs.writeFileSync(Buffer.concat([odd, Buffer.from('/inside')]), '');
    // Only a shell can make such an argument.
    const script =
      'exec "$0" "$@" -o "$(printf "lowerdir=odd \\377\\n\\\\\\\\,\\\\\\\\:\\\\\\\\\\\\\\\\:lower")" -o upperdir=upper,workdir=work merged';
    const bin = new URL('../bin/strata.js', import.meta.url).pathname;
    expect(
      await call(['sh', '-c', script, process.execPath, bin, 'mount', '--backend', backend], { cwd: stage.top }),
    ).toMatchObject({ code: 0, stderr: '' });
    expect(fs.readdirSync(stage.at('merged')).sort()).toEqual(['d', 'file', 'inside']);
    const listed = parseChecked((await strata(['mount', '--json'])).stdout) as unknown as {
      mounts: { mountPoint: string; layers: { lowerdirs: { path: string; pathBase64?: string }[] } }[];
    };
    const entry = listed.mounts.find((candidate) => candidate.mountPoint === stage.at('merged'));
    expect(Buffer.from(entry?.layers.lowerdirs[0].pathBase64 ?? '', 'base64').equals(odd)).toBe(true);
    expect(await strata(['umount', 'merged'], { cwd: stage.top })).toMatchObject({ code: 0 });
  });

  it('ends before it says so: the filesystem of its layers can be unmounted at once', async () => {
    const disk = stage.dir('disk');
    execFileSync('mount', ['-t', 'tmpfs', 'disk', disk]);
    for (const name of ['l', 'u', 'w']) stage.dir(`disk/${name}`);
    fs.writeFileSync(stage.at('disk/l/f'), 'content');
    expect(await mount('lowerdir=T/disk/l,upperdir=T/disk/u,workdir=T/disk/w')).toMatchObject({ code: 0 });
    fs.appendFileSync(stage.at('merged/f'), ' and more');
    expect(await strata(['umount', stage.at('merged')])).toMatchObject({ code: 0 });
    expect(stage.read('disk/u/f')).toBe('content and more');
    execFileSync('umount', [disk]);
    expect(fs.readdirSync(disk)).toEqual([]);
  });

  it('ends a busy mount only when it is told so', async () => {
    await mount(GOOD);
    const held = fs.openSync(stage.at('merged/file'), 'r');
    try {
      expect(await strata(['umount', stage.at('merged')])).toMatchObject({
        code: 32,
        stderr: expect.stringMatching(/^strata umount: '.*merged' is busy: .*-l ends it all the same \(EBUSY\)\n$/),
      });
      expect(await strata(['umount', '-l', stage.at('merged')])).toMatchObject({ code: 0 });
      expect(stage.mounts()).toEqual([]);
    } finally {
      fs.closeSync(held);
    }
  });

  const bad: [what: string, options: string, errno: string, message: string, merged?: string][] = [
    ['a missing lower', 'lowerdir=T/no,upperdir=T/upper,workdir=T/work', 'ENOENT', "lower layer 'T/no' does not exist"],
    [
      'a lower that is a file',
      'lowerdir=T/lower/file:T/lower',
      'EINVAL',
      "lower layer 'T/lower/file' is not a directory",
    ],
    ['the same lower twice', 'lowerdir=T/lower:T/lower2:T/lower', 'ELOOP', "lower layer 'T/lower' is named twice"],
    [
      'a lower inside the upper',
      'lowerdir=T/upper/in,upperdir=T/upper,workdir=T/work',
      'ELOOP',
      "'T/upper/in' lies inside upperdir 'T/upper'",
    ],
    ['no work', 'lowerdir=T/lower,upperdir=T/upper', 'EINVAL', 'upperdir needs a workdir'],
    [
      'work inside upper',
      'lowerdir=T/lower,upperdir=T/upper,workdir=T/upper/in',
      'EINVAL',
      "workdir 'T/upper/in' lies inside upperdir 'T/upper'",
    ],
    [
      'work that is a file',
      'lowerdir=T/lower2,upperdir=T/upper,workdir=T/lower/file',
      'EINVAL',
      "workdir 'T/lower/file' is not a directory",
    ],
    [
      'work on another filesystem',
      'lowerdir=T/lower,upperdir=T/upper,workdir=T/tmpfs',
      'EINVAL',
      "workdir 'T/tmpfs' is on another filesystem than upperdir 'T/upper'",
    ],
    [
      'no xattrs',
      'lowerdir=T/lower,upperdir=T/ramfs/u,workdir=T/ramfs/w',
      'EOPNOTSUPP',
      'takes no extended attribute trusted.overlay.opaque',
    ],
    [
      'a volatile marker',
      'lowerdir=T/lower,upperdir=T/upper,workdir=T/dirty',
      'EINVAL',
      "workdir 'T/dirty' was used by a volatile mount",
    ],
    [
      'an upper in use by the kernel',
      'lowerdir=T/lower,upperdir=T/used,workdir=T/work',
      'EBUSY',
      "upperdir 'T/used' is in use by the kernel's overlay at 'T/live'",
    ],
    [
      'a work in use by the kernel',
      'lowerdir=T/lower,upperdir=T/upper,workdir=T/usedwork',
      'EBUSY',
      "workdir 'T/usedwork' is in use by the kernel's overlay at 'T/live'",
    ],
    ['an unknown option', `${GOOD},upperdri=x`, 'EINVAL', "unknown mount option 'upperdri': did you mean 'upperdir'?"],
    ['a wrong value', `${GOOD},xino=maybe`, 'EINVAL', "mount option 'xino=maybe': takes one of on, auto, off"],
    [
      'conflicting options',
      `${GOOD},metacopy=on,redirect_dir=off`,
      'EINVAL',
      'conflicting options: metacopy=on,redirect_dir=off',
    ],
    ['a merged that is a file', GOOD, 'ENOTDIR', "mount point 'T/lower/file' is not a directory", 'T/lower/file'],
    [
      'a missing merged',
      GOOD,
      'ENOENT',
      "mount point 'T/nowhere' does not exist: make the directory first",
      'T/nowhere',
    ],
  ];

  it.each(bad)('refuses %s, and leaves nothing behind', async (_, options, errno, message, merged = 'T/merged') => {
    stage.dir('upper/in');
    stage.dir('dirty/work/incompat/volatile');
    execFileSync('mount', ['-t', 'tmpfs', 'none', stage.dir('tmpfs')]);
    execFileSync('mount', ['-t', 'ramfs', 'none', stage.dir('ramfs')]);
    stage.dir('ramfs/u');
    stage.dir('ramfs/w');
    for (const name of ['used', 'usedwork', 'live']) stage.dir(name);
    const live = here('lowerdir=T/lower,upperdir=T/used,workdir=T/usedwork');
    execFileSync('mount', ['-t', 'overlay', '-o', live, 'x', stage.at('live')]);
    // What fails is found out with the workdir opened and its time changed: contents are what counts.
    const seen = () => [stage.mounts(), stage.snapshot('upper'), fs.readdirSync(stage.at('work')), stage.processes()];
    const before = seen();
    const out = await mount(options, here(merged));
    expect(out).toMatchObject({ code: 32, stdout: '' });
    expect(out.stderr).toContain(here(message));
    expect(out.stderr).toMatch(new RegExp(`^strata mount: [^\\n]*${errno}[^\\n]*\\n$`));
    expect(seen()).toEqual(before);
  });
});

describe('mounts by FUSE', () => {
  beforeEach((context) => context.skip(!hasFuse, 'there is no /dev/fuse'));

  it.each(['kernel', 'fuse'])('refuses an upper that a server has, to the %s backend', async (backend) => {
    await strata(['mount', '--backend', 'fuse', '-o', here(GOOD), stage.at('merged')]);
    const second = stage.dir('second');
    const out = await strata(['mount', '--backend', backend, '-o', here(GOOD), second]);
    expect(out.code).toBe(32);
    expect(out.stderr).toMatch(
      /^strata mount: .* is in use by the strata mount at '.*merged' \(process \d+\).* \(EBUSY\)\n$/,
    );
    expect(stage.fstype('second')).toBeUndefined();
  });

  it('replaces a mount whose server was killed', async () => {
    const args = ['mount', '--backend', 'fuse', '-o', here(GOOD), stage.at('merged')];
    await strata(args);
    fs.writeFileSync(stage.at('merged/kept'), 'kept');
    const { mounts } = parseChecked((await strata(['mount', '--json'])).stdout) as unknown as {
      mounts: { mountPoint: string; pid: number; state: string }[];
    };
    process.kill(mounts.find((entry) => entry.mountPoint === stage.at('merged'))!.pid, 'SIGKILL');
    await expect.poll(() => fs.existsSync(stage.at('merged/kept'))).toBe(false);
    const dead = parseChecked((await strata(['mount', '--json'])).stdout);
    expect(dead.mounts).toContainEqual(expect.objectContaining({ mountPoint: stage.at('merged'), state: 'dead' }));
    expect(await strata(args)).toMatchObject({ code: 0, stderr: '' });
    expect(stage.read('merged/kept')).toBe('kept');
    expect(stage.mounts()).toHaveLength(1);
  });

  it.each([['mount', '--backend', 'fuse'], ['mount', '--backend', 'kernel'], ['umount']])(
    'leaves no record of a killed server that it takes the mount of away: %s %s %s',
    async (...args) => {
      const runtime = { env: { XDG_RUNTIME_DIR: stage.dir('runtime') }, prefix: ['unshare', '-m'] };
      // /run/strata is root's own place for records: an empty one stands over it.
      const hidden =
        'mkdir -p /run/strata && mount -t tmpfs -o mode=0700 none /run/strata && "$@" && ls -A /run/strata/mounts';
      const script = [
        `"$0" "$1" mount --backend fuse -o "$2" "$3"`,
        'kill -9 $(grep -ho \'"pid":[0-9]*\' /run/strata/mounts/*.json | cut -d: -f2)',
        'sleep 0.3',
        args[0] === 'umount' ? '"$0" "$1" umount "$3"' : `"$0" "$1" ${args.join(' ')} -o "lowerdir=$4:$5" "$3"`,
        'ls -A /run/strata/mounts > "$6"',
        'umount "$3" 2> /dev/null || true',
      ].join('; ');
      const words = [process.execPath, bin, here(GOOD), stage.at('merged'), stage.at('lower'), stage.at('lower2')];
      const out = await call(['sh', '-c', hidden, '-', 'sh', '-c', script, ...words, stage.at('left')], runtime);
      expect(out.stderr).toBe('');
      const left = stage
        .read('left')
        .split('\n')
        .filter((name) => name !== '');
      expect(left).toHaveLength(args.includes('fuse') ? 1 : 0);
    },
  );

  it('chooses FUSE for an option that only it has, and says so where the kernel was asked for', async () => {
    expect(await strata(['mount', '-o', here(`${GOOD},timeout=1`), stage.at('merged')])).toMatchObject({ code: 0 });
    expect(stage.fstype('merged')).toBe('fuse.strata-overlay');
    await strata(['umount', stage.at('merged')]);
    const kernel = await strata(['mount', '--backend', 'kernel', '-o', here(`${GOOD},timeout=1`), stage.at('merged')]);
    expect(kernel).toMatchObject({
      code: 32,
      stderr: 'strata mount: the kernel backend does not have timeout (EINVAL)\n',
    });
    const fuse = await strata([
      'mount',
      '--backend',
      'fuse',
      '-o',
      here(`${GOOD},nooverride_creds`),
      stage.at('merged'),
    ]);
    expect(fuse).toMatchObject({ code: 32, stderr: expect.stringContaining('nooverride_creds') });
    expect(await strata(['mount', '-o', here(`${GOOD},nooverride_creds`), stage.at('merged')])).toMatchObject({
      code: 0,
    });
    expect(stage.fstype('merged')).toBe('overlay');
  });

  it('serves in the foreground until it is told to end', async () => {
    const server = strataOverlay(['-f', '-o', here(GOOD), 'src', stage.at('merged')]);
    await expect.poll(() => stage.fstype('merged')).toBe('fuse.strata-overlay');
    execFileSync('umount', [stage.at('merged')]);
    expect(await server).toMatchObject({ code: 0, stdout: '', stderr: '' });
  });

  it.each(['-f', '-d'])('%s means our server, whatever the kernel could do', async (flag) => {
    const server = strata(['mount', flag, '-o', here(GOOD), stage.at('merged')]);
    await expect.poll(() => stage.fstype('merged')).toBe('fuse.strata-overlay');
    execFileSync('umount', [stage.at('merged')]);
    expect(await server).toMatchObject({ code: 0 });
    const kernel = await strata(['mount', flag, '--backend', 'kernel', '-o', here(GOOD), stage.at('merged')]);
    expect(kernel).toMatchObject({ code: 1, stderr: expect.stringContaining('-f and -d') });
    expect(stage.fstype('merged')).not.toBe('overlay');
  });

  it('stands in for fuse-overlayfs: relative lowers, empty options, aufs whiteouts, silence', async () => {
    stage.put('aufs/.wh.file', '');
    const args = ['-o', ',,lowerdir=aufs:lower,upperdir=upper,workdir=work,,metacopy=off,', 'merged'];
    expect(await strataOverlay(args, { cwd: stage.top })).toMatchObject({ code: 0, stdout: '', stderr: '' });
    expect(fs.readdirSync(stage.at('merged'))).toEqual(['d']);
    const mapped = await strataOverlay(['-o', here(`${GOOD},uidmapping=0:1:2`), stage.dir('other')]);
    expect(mapped).toMatchObject({ code: 32, stderr: expect.stringContaining('uidmapping') });
  });

  it('leaves index and metacopy off, which strata mount has on', async () => {
    fs.linkSync(stage.at('lower/file'), stage.at('lower/file2'));
    const content = stage.read('lower/file');
    const changed = async (mounted: Promise<{ code: number | null }>): Promise<unknown[]> => {
      expect(await mounted).toMatchObject({ code: 0 });
      fs.chmodSync(stage.at('merged/file'), 0o600);
      const mode = fs.statSync(stage.at('merged/file2')).mode & 0o777;
      expect(stage.read('merged/file2')).toBe(content);
      expect(await strata(['umount', stage.at('merged')])).toMatchObject({ code: 0 });
      const seen = [stage.read('upper/file'), mode, fs.readdirSync(stage.at('work')).includes('index')];
      for (const name of ['upper', 'work']) fs.rmSync(stage.at(name), { recursive: true });
      for (const name of ['upper', 'work']) stage.dir(name);
      return seen;
    };
    const lower = fs.statSync(stage.at('lower/file')).mode & 0o777;
    expect(await changed(strataOverlay(['-o', here(GOOD), stage.at('merged')]))).toEqual([content, lower, false]);
    const byMount = await changed(strata(['mount', '--backend', 'fuse', '-o', here(GOOD), stage.at('merged')]));
    // Metadata alone: as it lies there it is a hole.
    expect(byMount).toEqual(['\0'.repeat(content.length), 0o600, true]);
  });

  it('with ro takes an upper on a read-only filesystem, and stays read-only when it is remounted', async () => {
    const disk = stage.dir('disk');
    execFileSync('mount', ['-t', 'tmpfs', 'disk', disk]);
    for (const name of ['u', 'w']) stage.dir(`disk/${name}`);
    stage.put('disk/u/own', 'upper');
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const options = here('ro,lowerdir=T/lower,upperdir=T/disk/u,workdir=T/disk/w');
    expect(await strata(['mount', '--backend', 'fuse', '-o', options, stage.at('merged')])).toMatchObject({ code: 0 });
    expect(fs.readdirSync(stage.at('merged')).sort()).toEqual(['d', 'file', 'own']);
    expect(() => fs.writeFileSync(stage.at('merged/new'), '')).toThrow('EROFS');
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    execFileSync('mount', ['-i', '-o', 'remount,rw', stage.at('merged')]);
    for (const name of ['new', 'own', 'file']) {
      expect(() => fs.writeFileSync(stage.at('merged', name), '')).toThrow('EROFS');
    }
    expect(stage.read('disk/u/own')).toBe('upper');
    expect(await strata(['umount', stage.at('merged')])).toMatchObject({ code: 0 });
    execFileSync('umount', [disk]);
  });

  it('is called by mount(8)', async (context) => {
    const link = '/sbin/mount.fuse.strata-overlay';
    context.skip(fs.existsSync(link), `${link} is somebody else's`);
    fs.symlinkSync(overlayCommand, link);
    try {
      const options = `${here(GOOD)},nosuid,noatime,x-test`;
      execFileSync('mount', ['-t', 'fuse.strata-overlay', 'SRC', stage.at('merged'), '-o', options], {
        env: { ...process.env, PATH: `${process.execPath.replace(/\/[^/]*$/, '')}:${process.env.PATH}` },
      });
    } finally {
      fs.unlinkSync(link);
    }
    const found = execFileSync('findmnt', ['-n', '-o', 'SOURCE,FSTYPE,VFS-OPTIONS', stage.at('merged')], {
      encoding: 'utf8',
    });
    expect(found.trim().split(/\s+/)).toEqual(['SRC', 'fuse.strata-overlay', 'rw,nosuid,noatime']);
  });
});

describe('other calls', () => {
  it.each([
    [['mount', '-o', 'lowerdir=/a:/b'], 1, 'MERGED is missing'],
    [['mount', 'a', 'b', 'c'], 1, 'more operands than SOURCE and MERGED'],
    [['mount', '--backend', 'ntfs', '/mnt'], 1, 'It is one of auto, kernel, fuse.'],
    [['umount'], 1, "missing required argument 'merged'"],
    [['umount', '/proc'], 32, "what is mounted at '/proc' is no union but proc"],
    [['umount', '/no/such/place'], 32, "'/no/such/place' does not exist"],
  ])('refuses strata %s', async (args, code, message) => {
    const out = await strata(args);
    expect(out).toMatchObject({ code, stdout: '' });
    expect(out.stderr).toContain(message);
    expect(out.stderr.trimEnd()).not.toContain('\n');
  });

  it('says to an ordinary user what is missing', async () => {
    const out = await strata(['mount', '-o', here('lowerdir=T/lower:T/lower2'), stage.at('merged')], {
      prefix: ['setpriv', '--reuid', `${ORDINARY}`, '--regid', `${ORDINARY}`, '--clear-groups'],
    });
    expect(out).toMatchObject({ code: 1, stderr: expect.stringContaining('run it in a user namespace') });
    const kernel = await strata(
      ['mount', '--backend', 'kernel', '-o', here('lowerdir=T/lower:T/lower2'), stage.at('merged')],
      {
        prefix: ['setpriv', '--reuid', `${ORDINARY}`, '--regid', `${ORDINARY}`, '--clear-groups'],
      },
    );
    expect(kernel).toMatchObject({ code: 1, stderr: expect.stringContaining('CAP_SYS_ADMIN') });
  });
});

describe('strata doctor', () => {
  it('reports what this host can do', async () => {
    const out = await strata(['doctor', '--json', stage.top]);
    const report = parseChecked(out.stdout);
    expect(report).toMatchObject({
      user: { uid: 0, sysAdmin: true },
      overlay: { mountable: true },
      directory: { path: stage.top, error: null, network: false, dType: true, whiteouts: true, trustedXattrs: true },
      mount: { backend: 'kernel' },
      run: { backend: 'kernel' },
    });
    expect(fs.readdirSync(stage.top)).not.toContainEqual(expect.stringContaining('probe'));
    const text = (await strata(['doctor', stage.top])).stdout;
    expect(text).toMatch(/^strata run {6,}kernel: /m);
  });

  it('says to an ordinary user that /dev/fuse is closed', async (context) => {
    context.skip(!hasFuse, 'there is no /dev/fuse');
    fs.chmodSync('/dev/fuse', 0o600);
    try {
      const prefix = ['setpriv', '--reuid', `${ORDINARY}`, '--regid', `${ORDINARY}`, '--clear-groups'];
      const report = parseChecked((await strata(['doctor', '--json', '/tmp'], { prefix })).stdout);
      expect(report).toMatchObject({
        user: { uid: ORDINARY, sysAdmin: false },
        fuse: { device: 'forbidden', passthrough: false },
        mount: { backend: null },
        run: { backend: null, reason: expect.stringContaining('/dev/fuse may not be opened by this user') },
      });
    } finally {
      fs.chmodSync('/dev/fuse', 0o666);
    }
  });
});
