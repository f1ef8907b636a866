// Package loopdev attaches files to loop devices so that none is ever left behind.
//
// Every device has the autoclear flag: the kernel detaches it when its last user goes. The user of a mounted device is
// its mount. The device of a block volume has no mount, so whoever attached it keeps the returned file open. When the
// process ends, by whatever signal, the kernel closes its file and removes its mount namespace, and with them the
// device.
//
// Every device carries a tag in its status. Unlike the path of the file behind it, the tag does not depend on the mount
// namespace of the reader, so we can find a cluster's devices after the cluster has gone.
package loopdev
