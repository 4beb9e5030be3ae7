/**
 * stdout is data, stderr is talk. Data is bytes (names need not be UTF-8), talk is text; both are
 * written synchronously where they are files or pipes, so that nothing is lost at an exit.
 */
import { type ByteString, toBuffer } from 'stratafs/internal/sys/bytes';

/** A reader that goes away (`strata diff x | head`) is no error: the command just ends. */
export function quietOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      process.exit(0);
    });
  }
}

/** Data, as bytes. */
export function print(bytes: ByteString): void {
  process.stdout.write(toBuffer(bytes));
}

/** Talk, as text; a newline is added. */
export function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** One JSON document. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}
