/** Requests that no kernel sent: for warming the server up before the mount is live, and for measuring it. */
import { IN_HEADER, inHeader } from './layout.ts';
import type { Request } from './wire.ts';

/** Puts a request where the device would have, from pid 0 and uid 0, and decodes its header. */
export function loadRequest(request: Request, opcode: number, nodeid: number, body: Uint8Array): void {
  const length = IN_HEADER + body.length;
  request.bytes.fill(0, 0, IN_HEADER);
  request.setU32(inHeader.len, length);
  request.setU32(inHeader.opcode, opcode);
  request.set64(inHeader.nodeid, nodeid);
  request.bytes.set(body, IN_HEADER);
  request.load(length);
}
