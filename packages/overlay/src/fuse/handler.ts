/** What a request handler is; dispatch.ts has the table and the convention. */
import type { Connection } from './connection.ts';

/** @returns bytes of payload written behind the reply header, a negative errno, or NO_REPLY. */
export type Handler = (connection: Connection) => number;

/** Outside the range of errnos. */
export const NO_REPLY = -100_000;
