#!/bin/sh
# The first process of a guest. It prepares the machine, runs /etc/vm/command, and tells the host
# how that ended. Whatever happens, the machine is powered off: a host must never wait for ever.
#
# ttyS0 is the kernel's console, ttyS1 and ttyS2 are stdout and stderr of the command, and ttyS3
# carries what the host must know: "ready", then "failed WORDS" or "end STATUS SIZE" and as many
# bytes of a packed /share/out. A command that will end the machine itself says "crash" there.

export PATH=/bin:/sbin:/usr/bin:/usr/sbin HOME=/root TERM=dumb LANG=C.UTF-8

mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1

fail() {
    echo "failed $*" >/dev/ttyS3
    stty -F /dev/ttyS3 raw
    poweroff -f
}

mount -t proc proc /proc || fail "cannot mount /proc"
mount -t sysfs sys /sys || fail "cannot mount /sys"
for port in ttyS1 ttyS2 ttyS3; do
    stty -F /dev/$port raw -echo || fail "no serial port $port"
done
# Held open, so that no port is reset between two writers.
exec 7>/dev/ttyS1 8>/dev/ttyS2 9>/dev/ttyS3

mkdir -p /dev/pts /dev/shm
mount -t devpts -o mode=620 pts /dev/pts
ln -s /proc/self/fd /dev/fd
for folder in /dev/shm /tmp /run; do mount -t tmpfs -o mode=1777 tmp $folder; done
mkdir -p /run/netns /var/log /share/out
ln -s /run /var/run
mount -t tracefs trace /sys/kernel/tracing
mount -t debugfs debug /sys/kernel/debug
mount -t bpf bpf /sys/fs/bpf
mount -t securityfs security /sys/kernel/security

controllers_v1() {
    mount -t tmpfs -o mode=755 cgroup /sys/fs/cgroup
    # Lines are: name, hierarchy, number of groups, enabled.
    grep -v '^#' /proc/cgroups | while read -r name _ _ enabled; do
        [ "$enabled" = 1 ] || continue
        mkdir -p "/sys/fs/cgroup/$name"
        mount -t cgroup -o "$name" cgroup "/sys/fs/cgroup/$name" || rmdir "/sys/fs/cgroup/$name"
    done
}

read -r mode </etc/vm/cgroup
case $mode in
v1) controllers_v1 ;;
hybrid)
    controllers_v1
    mkdir -p /sys/fs/cgroup/unified
    mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified || fail "cannot mount cgroup v2"
    ;;
*)
    mount -t cgroup2 cgroup2 /sys/fs/cgroup || fail "cannot mount cgroup v2"
    for name in $(cat /sys/fs/cgroup/cgroup.controllers); do
        echo "+$name" >/sys/fs/cgroup/cgroup.subtree_control
    done
    ;;
esac

hostname tcpress-vm
ln -s . "/lib/modules/$(uname -r)"
while read -r module; do
    options=
    # Of itself it would make a device dummy0, in the way of whoever wants one of that name.
    [ "$module" = dummy ] && options=numdummies=0
    insmod "/lib/modules/$module.ko" $options
done </etc/vm/modules
# The disk that outlives this machine.
read -r keep </etc/vm/keep
if [ -n "$keep" ]; then
    # A guest whose root is a disk has these modules already.
    [ -b /dev/vda ] || while read -r module; do insmod "/lib/modules/$module.ko"; done </etc/vm/disk
    mkdir -p /keep
    # The kernel looks at the disk in its own time.
    tries=0
    until mount -t ext4 "/dev/$keep" /keep; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || fail "cannot mount /dev/$keep at /keep"
        sleep 0.1
    done
fi
ip link set lo up || fail "cannot bring up the loopback device"

cd /root || fail "no home"

# Pipes, so that a program does not take its output for a terminal.
mkfifo /run/vm.out /run/vm.err
cat /run/vm.out >&7 &
out=$!
cat /run/vm.err >&8 &
err=$!
echo ready >&9
sh /etc/vm/command >/run/vm.out 2>/run/vm.err 7>&- 8>&- 9>&-
status=$?

# What the command left running must end, or its output would never do so.
for process in /proc/[0-9]*; do
    case ${process#/proc/} in
    1 | "$out" | "$err") ;;
    *) kill -9 "${process#/proc/}" ;;
    esac
done 2>/dev/null
wait "$out" "$err"
# Changing a terminal's mode waits until all that was written has left.
for port in ttyS1 ttyS2; do stty -F /dev/$port raw; done

size=0
if [ -n "$(ls -A /share/out)" ]; then
    tar -czf /out.tar.gz -C /share/out . || fail "cannot pack /share/out: no memory left?"
    size=$(stat -c %s /out.tar.gz)
fi
[ -z "$keep" ] || umount /keep || fail "cannot unmount /keep"
echo "end $status $size" >&9
[ "$size" = 0 ] || cat /out.tar.gz >&9
stty -F /dev/ttyS3 raw
poweroff -f
