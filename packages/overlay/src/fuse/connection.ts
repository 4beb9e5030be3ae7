/**
 * `Connection`: what one mount's requests are served with (the kernel's fuse_conn): the operations,
 * the two wire buffers, the agreed protocol, and objects that every request reuses, so that the
 * common requests allocate nothing but names.
 */
import { type Caller, EntryOut, OpenOut, type Ops, SetAttr } from '../ops/ops.ts';
import { Stat, StatFs } from '../sys/stat.ts';
import { DirentSink } from './dirents.ts';
import { encodeAttrOut, encodeEntry, type Validity, validity } from './encode.ts';
import { EXT_GROUPS } from './flags.ts';
import { type InitWishes, MAX_WRITE, type Negotiated } from './init.ts';
import { attrOut, entryOut, extHeader, OUT_HEADER } from './layout.ts';
import type { Notify } from './notify.ts';
import type { BackingFiles } from './passthrough.ts';
import { Reply, Request } from './wire.ts';

/** A request carries at most one page of header and names beside MAX_WRITE bytes of data. */
const BUFFER_SIZE = MAX_WRITE + 4096;

export interface ConnectionOptions extends InitWishes {
  /** Seconds that the kernel may keep a name, a name that is missing, and attributes. */
  entryTimeout: number;
  negativeTimeout: number;
  attrTimeout: number;
}

export class Connection {
  readonly ops: Ops;
  readonly options: ConnectionOptions;
  readonly backing: BackingFiles;
  readonly notify: Notify;
  /** One line for people. */
  readonly log: (line: string) => void;
  readonly request: Request = new Request(BUFFER_SIZE);
  readonly reply: Reply = new Reply(BUFFER_SIZE);
  /** null until INIT has been answered. */
  agreed: Negotiated | null = null;

  /** The request that was dispatched last got no answer: it is to be dispatched again when long work has ended. */
  waits = false;

  readonly caller: Caller = { uid: 0, gid: 0, pid: 0, umask: 0 };
  readonly entry: EntryOut = new EntryOut(new Stat());
  readonly open: OpenOut = new OpenOut();
  readonly stat: Stat = new Stat();
  readonly statfs: StatFs = new StatFs();
  readonly setAttr: SetAttr = new SetAttr();
  readonly listing: DirentSink;

  readonly entryValid: Validity;
  readonly negativeValid: Validity;
  private readonly attrValid: Validity;

  constructor(
    ops: Ops,
    options: ConnectionOptions,
    backing: BackingFiles,
    notify: Notify,
    log: (line: string) => void,
  ) {
    this.ops = ops;
    this.options = options;
    this.backing = backing;
    this.notify = notify;
    this.log = log;
    this.entryValid = validity(options.entryTimeout);
    this.negativeValid = validity(options.negativeTimeout);
    this.attrValid = validity(options.attrTimeout);
    this.listing = new DirentSink(this.reply, this.entryValid, (nodeid) => this.attrValidity(nodeid));
  }

  /**
   * How long attributes of `nodeid` may be kept: not at all while somebody may write to its backing
   * file through a mapping, behind the server's back: a store through a mapping moves mtime without any request.
   * Nor while the kernel has two inodes of it, which do not know of each other.
   */
  attrValidity(nodeid: number): Validity {
    return this.backing.hasMappable(nodeid) || this.ops.isSplit?.(nodeid) ? ZERO : this.attrValid;
  }

  /** Fills `caller` from the request's header. Handlers that know a umask add it. */
  takeCaller(): Caller {
    const { caller, request } = this;
    caller.uid = request.uid;
    caller.gid = request.gid;
    caller.pid = request.pid;
    caller.umask = 0;
    caller.groups = undefined;
    return caller;
  }

  /** As `takeCaller`, for requests that create: with the umask and CREATE_SUPP_GROUP's group, if it came. */
  takeCreator(umask: number): Caller {
    const caller = this.takeCaller();
    caller.umask = umask;
    const { request } = this;
    for (let at = request.bodyEnd; at + extHeader.body <= request.length; ) {
      const size = request.u32(at + extHeader.size);
      if (size < extHeader.body || at + size > request.length) break;
      if (request.u32(at + extHeader.type) === EXT_GROUPS) {
        const groups: number[] = [];
        const count = request.u32(at + extHeader.body);
        for (let i = 0, group = at + extHeader.body + 4; i < count && group + 4 <= at + size; i++, group += 4) {
          groups.push(request.u32(group));
        }
        caller.groups = groups;
      }
      at += (size + 7) & ~7;
    }
    return caller;
  }

  /** The payload that hands `entry` over. @returns its size. */
  replyEntry(): number {
    const { nodeid, generation, attr } = this.entry;
    encodeEntry(this.reply, OUT_HEADER, nodeid, generation, attr, this.entryValid, this.attrValidity(nodeid));
    return entryOut.size;
  }

  /** The payload that says for a while that a name does not exist. @returns its size. */
  replyNegative(): number {
    encodeEntry(this.reply, OUT_HEADER, 0, 0, NOTHING, this.negativeValid, ZERO);
    return entryOut.size;
  }

  /** The payload with `stat`, the attributes of `nodeid`. @returns its size. */
  replyAttr(nodeid: number): number {
    encodeAttrOut(this.reply, OUT_HEADER, this.stat, this.attrValidity(nodeid));
    return attrOut.size;
  }

  /** Resets and gives out the object that opens fill. */
  takeOpen(): OpenOut {
    const { open } = this;
    open.fh = 0;
    open.backingFd = -1;
    open.lower = false;
    open.keepCache = false;
    open.attrChanged = false;
    return open;
  }
}

const ZERO: Validity = { sec: 0, nsec: 0 };
const NOTHING = new Stat();
