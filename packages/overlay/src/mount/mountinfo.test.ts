import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { openSys } from '../sys/sys-koffi.ts';
import {
  isUnion,
  mountAt,
  mountsBelow,
  overlayLayers,
  parseMountinfo,
  pathReadings,
  readMountinfo,
} from './mountinfo.ts';

const table = [
  '22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro',
  '30 22 0:39 / /mnt/with\\040space\\134back\\012line rw,nosuid,relatime - overlay none ro,lowerdir+=/l:1,lowerdir+=/b\\1341,redirect_dir=on',
  '31 22 0:40 / /m rw,relatime shared:3 master:1 - overlay ov\\040erlay rw,lowerdir=/a\\134:b:/c::/d,upperdir=/u\\134\\054p,workdir=/w,volatile',
  '29 31 0:41 /sub /m rw - fuse.strata-overlay \\303\\050 rw,user_id=0,group_id=0',
  '33 29 0:42 / /m/below rw - tmpfs tmpfs rw',
  '34 33 0:43 / /m/below/deep rw - tmpfs tmpfs rw',
  '35 22 0:44 / /mm rw - tmpfs tmpfs rw',
  'garbage',
  '',
].join('\n');

describe('mountinfo', () => {
  const entries = parseMountinfo(table);

  it('decodes each field', () => {
    expect(entries).toHaveLength(7);
    expect(entries[1]).toMatchObject({
      id: 30,
      parent: 22,
      device: '0:39',
      mountPoint: '/mnt/with space\\back\nline',
      options: ['rw', 'nosuid', 'relatime'],
      propagation: [],
      fstype: 'overlay',
    });
    expect(entries[2]).toMatchObject({ propagation: ['shared:3', 'master:1'], source: 'ov erlay' });
    expect(entries[3]).toMatchObject({ root: '/sub', source: '\xc3(', fstype: 'fuse.strata-overlay' });
    expect(entries.filter(isUnion)).toHaveLength(3);
  });

  it('finds the layers of a kernel overlay in both spellings', () => {
    expect(overlayLayers(entries[1])).toEqual({ lowerdirs: ['/l:1', '/b\\1'], datadirs: [] });
    expect(overlayLayers(entries[2])).toEqual({
      lowerdirs: ['/a:b', '/c'],
      datadirs: ['/d'],
      upperdir: '/u\\,p',
      workdir: '/w',
    });
    expect(pathReadings('/u\\,p')).toEqual(['/u\\,p', '/u,p']);
  });

  it('takes the topmost of stacked mounts, whatever its id', () => {
    expect(mountAt(entries, '/m')?.id).toBe(29);
    expect(mountAt(entries, '/nowhere')).toBeUndefined();
  });

  it('lists what lies below a directory and not beside it', () => {
    expect(mountsBelow(entries, '/m').map((entry) => entry.id)).toEqual([33, 34]);
    expect(mountsBelow(entries, '/')).toHaveLength(6);
  });

  it('decodes any bytes that the kernel escapes', () => {
    const path = fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((c) => String.fromCharCode(c)), minLength: 1 });
    fc.assert(
      fc.property(path, (bytes) => {
        const mangled = bytes.replace(/[ \t\n\\]/g, (c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`);
        const [entry] = parseMountinfo(`1 1 0:1 / /${mangled} rw - tmpfs none rw`);
        expect(entry.mountPoint).toBe(`/${bytes}`);
      }),
    );
  });

  it('reads the table of this very system', () => {
    const real = readMountinfo(openSys());
    if (typeof real === 'number') throw new Error(`mountinfo: ${real}`);
    expect(mountAt(real, '/')?.mountPoint).toBe('/');
    expect(readMountinfo(openSys(), process.pid)).toEqual(real);
  });
});
