/** errno numbers of Linux (asm-generic) by name, and the way back. Results carry them negated. */
export const EPERM = 1;
export const ENOENT = 2;
export const ESRCH = 3;
export const EINTR = 4;
export const EIO = 5;
export const ENXIO = 6;
export const E2BIG = 7;
export const EBADF = 9;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EACCES = 13;
export const EFAULT = 14;
export const EBUSY = 16;
export const EEXIST = 17;
export const EXDEV = 18;
export const ENODEV = 19;
export const ENOTDIR = 20;
export const EISDIR = 21;
export const EINVAL = 22;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENOTTY = 25;
export const ETXTBSY = 26;
export const EFBIG = 27;
export const ENOSPC = 28;
export const ESPIPE = 29;
export const EROFS = 30;
export const EMLINK = 31;
export const EPIPE = 32;
export const ERANGE = 34;
export const EDEADLK = 35;
export const ENAMETOOLONG = 36;
export const ENOLCK = 37;
export const ENOSYS = 38;
export const ENOTEMPTY = 39;
export const ELOOP = 40;
export const ENODATA = 61;
export const EPROTO = 71;
export const EOVERFLOW = 75;
export const EUSERS = 87;
export const EOPNOTSUPP = 95;
export const ETIMEDOUT = 110;
export const ECONNREFUSED = 111;
export const ENOTCONN = 107;
export const ECONNABORTED = 103;
export const ERESTART = 85;
export const ESTALE = 116;
export const EUCLEAN = 117;
export const EDQUOT = 122;
export const ECANCELED = 125;

const names: Readonly<Record<string, number>> = {
  EPERM,
  ENOENT,
  ESRCH,
  EINTR,
  EIO,
  ENXIO,
  E2BIG,
  EBADF,
  EAGAIN,
  ENOMEM,
  EACCES,
  EFAULT,
  EBUSY,
  EEXIST,
  EXDEV,
  ENODEV,
  ENOTDIR,
  EISDIR,
  EINVAL,
  ENFILE,
  EMFILE,
  ENOTTY,
  ETXTBSY,
  EFBIG,
  ENOSPC,
  ESPIPE,
  EROFS,
  EMLINK,
  EPIPE,
  ERANGE,
  EDEADLK,
  ENAMETOOLONG,
  ENOLCK,
  ENOSYS,
  ENOTEMPTY,
  ELOOP,
  ENODATA,
  EPROTO,
  EOVERFLOW,
  EUSERS,
  EOPNOTSUPP,
  ETIMEDOUT,
  ECONNREFUSED,
  ENOTCONN,
  ECONNABORTED,
  ERESTART,
  ESTALE,
  EUCLEAN,
  EDQUOT,
  ECANCELED,
};

const byNumber = new Map<number, string>(Object.entries(names).map(([name, number]) => [number, name]));

/** The name of an errno given positive or negative: `errnoName(-2)` is 'ENOENT'; an unknown one is 'errno 250'. */
export function errnoName(errno: number): string {
  const positive = Math.abs(errno);
  return byNumber.get(positive) ?? `errno ${positive}`;
}
