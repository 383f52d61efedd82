// Real images, made by scripts/images, and the guest that scripts/guest made.

export const images = '/var/cache/caisson/images'
/** One layer; root of the sandbox is its user, a shell its command. */
export const busybox = `oci:${images}/busybox:latest`
/** Debian with Python in three layers; user app, entrypoint python3. */
export const python = `oci:${images}/python:latest`

/** Kernel and VMM of microVMs. */
export const guest = '/var/cache/caisson/guest'
