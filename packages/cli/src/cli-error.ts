/** An error that has its sentence and its exit status already. */
export class CliError extends Error {
  readonly exitStatus: number;

  constructor(exitStatus: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'CliError';
    this.exitStatus = exitStatus;
  }
}

/** A wrong call: exit status 2. */
export function usageError(message: string): CliError {
  return new CliError(2, message);
}
