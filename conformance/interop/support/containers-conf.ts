/** Configuration of podman and buildah for a store of the test's own. */
import type { Sandbox } from './sandbox.ts';

/**
 * A script that writes containers.conf, storage.conf and policy.json to the working directory. Ulimits
 * no higher than ours, as not every root may raise them; runc and cgroupfs, as systemd may not run.
 * @param store the folder of the images, below the working directory
 * @param options further lines of storage.conf
 */
export function configure(store: string, options = ''): string {
  return `
  cat > containers.conf <<END
[containers]
default_ulimits = ["nofile=$(ulimit -Hn):$(ulimit -Hn)", "nproc=4096:4096"]
netns = "none"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
END
  cat > storage.conf <<END
[storage]
driver = "overlay"
graphroot = "$PWD/${store}"
runroot = "$PWD/run"
${options}
END
  echo '{ "default": [{ "type": "insecureAcceptAnything" }] }' > policy.json`;
}

/** @returns what a script prints in which podman, buildah and skopeo have the configuration of `configure` in `box.dir` */
export function inStore(box: Sandbox, script: string): Promise<string> {
  const env = {
    CONTAINERS_CONF: `${box.dir}/containers.conf`,
    CONTAINERS_STORAGE_CONF: `${box.dir}/storage.conf`,
  };
  return box.sh(script, { env, timeoutMs: 180_000 });
}
