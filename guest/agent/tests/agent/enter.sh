# Makes, in fresh namespaces, the root that the launcher makes, with a small image at /rootfs, and becomes the agent.
# WORK: an empty folder. AGENT: the binary. IMAGE: commands that shape the image, run in its root. CGROUPS: how many descriptors from 4 on.
set -e
mount --make-rprivate /
mount -t tmpfs -o mode=755 none "$WORK"
cd "$WORK"
mkdir proc sys dev rootfs old
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t tmpfs -o mode=755 none dev
for device in null zero full random urandom tty; do
  : > dev/$device
  mount --bind /dev/$device dev/$device
done
ln -s /proc/self/fd dev/fd
for number in 0:stdin 1:stdout 2:stderr; do ln -s /proc/self/fd/${number%:*} dev/${number#*:}; done
mkdir -m 1777 dev/shm

mount -t tmpfs -o mode=755 none rootfs
mkdir rootfs/bin rootfs/etc
cp /bin/busybox rootfs/bin/busybox
for applet in $(/bin/busybox --list); do [ $applet = busybox ] || ln -s busybox rootfs/bin/$applet; done
echo 'root:x:0:0:root:/root:/bin/sh
app:x:1000:1001::/home/app:/bin/sh' > rootfs/etc/passwd
echo 'root:x:0:
app:x:1001:
staff:x:50:app' > rootfs/etc/group
(cd rootfs && eval "$IMAGE")

cp "$AGENT" agent
pivot_root . old
exec /rootfs/bin/busybox sh -c "umount -l /old && rmdir /old && exec /rootfs/bin/busybox env -i /agent container --cgroup-fds $CGROUPS"
