/** Configuration of podman and buildah for a store of the test's own. */

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
