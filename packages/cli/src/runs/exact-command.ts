/**
 * Starting a program with arguments and environment that are any bytes. Node passes strings on as
 * UTF-8; where that would change a byte, sh(1) puts them together with printf(1) and becomes the
 * program.
 */
import { type ByteString, fromText, toText } from 'stratafs/internal/sys/bytes';

export interface Command {
  file: string;
  args: string[];
  env: Record<string, string>;
}

function isText(bytes: ByteString): boolean {
  return fromText(toText(bytes)) === bytes;
}

/** The last of several entries for one name counts. An entry without `=` is none. */
function environment(entries: readonly ByteString[]): Map<ByteString, ByteString> {
  const env = new Map<ByteString, ByteString>();
  for (const entry of entries) {
    const eq = entry.indexOf('=');
    if (eq > 0) env.set(entry.slice(0, eq), entry.slice(eq + 1));
  }
  return env;
}

/** `$(printf …)` would lose newlines at the end, so a dot stands there and is taken off. */
function assign(variable: string, bytes: ByteString): string {
  const octal = [...bytes].map((c) => `\\${c.charCodeAt(0).toString(8).padStart(3, '0')}`).join('');
  return `${variable}=$(printf '${octal}.'); ${variable}=\${${variable}%.}`;
}

/** How Node is to start `command` with the environment `entries` (`K=V`). */
export function exactCommand(command: readonly ByteString[], entries: readonly ByteString[]): Command {
  const plain: Record<string, string> = {};
  const script: string[] = [];
  for (const [name, value] of environment(entries)) {
    if (isText(name) && isText(value)) plain[toText(name)] = toText(value);
    // A shell has no variables of other names.
    else if (/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) script.push(assign(name, value), `export ${name}`);
  }
  if (script.length === 0 && command.every(isText)) {
    const [file, ...args] = command.map(toText);
    return { file, args, env: plain };
  }
  // Positional parameters, because a variable would stay in what is exported.
  script.push('set --');
  for (const arg of command) {
    script.push(assign('strata_arg', arg), 'set -- "$@" "$strata_arg"');
  }
  script.push('unset strata_arg', 'exec "$@"');
  return { file: '/bin/sh', args: ['-c', script.join('\n')], env: plain };
}
