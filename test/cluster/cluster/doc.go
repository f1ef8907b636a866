// Package cluster brings a test cluster up and takes it down, from the host.
//
// Up
//  1. takes the state folder's lock: one change at a time
//  2. returns at once if the cluster is Ready and all of its components run; ends what is half there
//  3. builds what is not up to date: programs from Go modules, image archives, stsbackup's own image
//  4. makes an empty run folder and the cgroup root, and opens two listening sockets on the host's loopback
//  5. starts the holder in new namespaces, tied to us by a lifeline, and passes on what it reports
//  6. when it is Ready: writes the env file, and only then lets the holder stay
//
// So whatever happens to this process before the end of step 6, the kernel closes the lifeline, and everything inside
// ends with the holder. What the kernel does not take back by itself are an empty cgroup and files; Down removes them,
// as does the next Up.
//
// Down asks the holder to end (so that no filesystem stays frozen in the middle of a VolumeSnapshot), and then forces
// it to. It then checks for itself that loop devices and cgroups have gone. If there is nothing to do, it says so.
package cluster
