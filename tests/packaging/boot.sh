#!/bin/sh
# Becomes process 1 of a Debian system of its own, by the namespaces that tests/packaging/systemd.py has made:
#   boot.sh CGROUP LOWER UPPER
# What the system could change of the machine is read-only or its own, but for the kernel's own network settings.
set -eu
lower=$2 upper=$3
mount --make-rprivate /
mkdir -p "$upper/files" "$upper/work" "$upper/root"
mount -t overlay overlay -o "lowerdir=$lower,upperdir=$upper/files,workdir=$upper/work" "$upper/root"
cd "$upper/root"
mount -t proc -o nosuid,nodev,noexec proc proc
mount --bind proc/sys proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,bind,ro proc/sys
# Read-only, so that no udev runs.
mount -t sysfs -o ro,nosuid,nodev,noexec sysfs sys
mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
for node in null zero full random urandom tty; do
    : >dev/$node
    mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
pivot_root . mnt
umount -l mnt
exec env -i container=linkbeat PATH=/usr/sbin:/usr/bin:/sbin:/bin \
    setpriv --bounding-set=-sys_time,-sys_module,-sys_rawio,-sys_boot /lib/systemd/systemd
