/** The loopback interface of a fresh network namespace is down; a command there expects localhost to answer. */
import { O_CLOEXEC } from './constants.ts';
import { openLibc } from './koffi/libc.ts';

const AF_INET = 2;
const SOCK_DGRAM = 2;
const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const IFF_UP = 1;
/** struct ifreq: the name in 16 bytes, then a union of 24. */
const SIZEOF_IFREQ = 40;
const FLAGS = 16;

/** Brings `lo` of this thread's network namespace up. @returns 0 or a negative errno. */
export function bringLoopbackUp(): number {
  const libc = openLibc();
  const socket = libc.func('socket', 'int', ['int', 'int', 'int']);
  const ioctl = libc.func('ioctl', 'int', ['int', 'size_t', 'void *']);
  const close = libc.func('close', 'int', ['int']);
  const fd = socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0);
  if (fd < 0) return -libc.errno();
  const request = Buffer.alloc(SIZEOF_IFREQ);
  request.write('lo', 'latin1');
  let err = ioctl(fd, SIOCGIFFLAGS, request) < 0 ? -libc.errno() : 0;
  if (err === 0) {
    request.writeInt16LE(request.readInt16LE(FLAGS) | IFF_UP, FLAGS);
    err = ioctl(fd, SIOCSIFFLAGS, request) < 0 ? -libc.errno() : 0;
  }
  close(fd);
  return err;
}
