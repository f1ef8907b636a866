// Package loopdev attaches files to loop devices so that none is ever left behind.
//
// Every device is attached with the autoclear flag: the kernel detaches it when its last user goes. A mounted device has its mount as the
// user; the device of a block volume has none, so whoever attached it keeps the returned file open. When the process ends, by whatever
// signal, its file is closed and its mount namespace goes, and with them the device.
//
// Every device carries a tag in its status, which does not depend on the mount namespace that it is looked at from (the path of the file
// behind it does): so that a cluster's devices can be found after the cluster has gone.
package loopdev
