/** What `strata run` decided, for the process that carries it out inside the namespaces. Travels as JSON. */
import type { Backend } from 'stratafs/internal/mount/backend';
import type { ByteString } from 'stratafs/internal/sys/bytes';

export interface Volume {
  /** Absolute, on the host. */
  source: ByteString;
  /** Absolute, in the view or beside it. */
  target: ByteString;
  readOnly: boolean;
}

export interface RunPlan {
  /** The store root, and the run in it, whose record says the rest. */
  root: ByteString;
  id: string;
  /** The mount namespace that the caller is in, which the run must have left. */
  namespace: ByteString;
  backend: 'auto' | Backend;
  /** `K=V`. */
  env: ByteString[];
  /** Where the command starts; null is the caller's working directory. Absolute. */
  workdir: ByteString | null;
  volumes: Volume[];
  network: 'host' | 'none';
  /** Forget the run at the end. */
  remove: boolean;
}
