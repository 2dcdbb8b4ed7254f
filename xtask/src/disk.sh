#!/bin/sh
# The first process of a guest whose root is a disk. It finds the disk, copies onto it what lies here besides the tools, and
# gives way to the init there. Of a failure the host learns by the port that init.sh describes.

export PATH=/bin:/sbin

mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS0 2>&1

fail() {
    echo "failed $*" >/dev/ttyS3
    stty -F /dev/ttyS3 raw
    poweroff -f
}

while read -r module; do
    insmod "/lib/modules/$module.ko"
done </etc/vm/disk

mkdir /disk
# The kernel looks at the disk in its own time.
tries=0
until mount -t ext4 -o noatime /dev/vda /disk; do
    tries=$((tries + 1))
    [ "$tries" -lt 100 ] || fail "no disk"
    sleep 0.1
done
while read -r program; do
    cp "/bin/$program" /disk/usr/bin/ || fail "cannot copy $program onto the disk"
done </etc/vm/programs
for name in etc lib share; do
    # Some of these folders are links on the disk.
    mkdir -p "/disk/$name"
    cp -R "/$name/." "/disk/$name/" || fail "cannot copy /$name onto the disk"
done
umount -l /dev
exec switch_root /disk /etc/vm/init
