// Package csidriver is a CSI driver for one node, made for tests: real volumes, real VolumeSnapshots, and failures on
// request.
//
// It serves the identity, controller, group controller and node services on one socket and registers itself with the
// kubelet on another, so that the sidecars of any CSI driver work beside it. Data is in package store; this package
// turns requests into calls of store, and its errors into gRPC codes. One change happens at a time.
//
// Volumes are ext4 images, raw images (block volumes) or directories (parameter kind: dir, the only ones that many
// nodes may share). A staged image is on a loop device that detaches itself (package loopdev): it is mounted or, if it
// is a block volume, this process holds it open. A volume belongs to the node on which it was made, and says so by the
// topology key topology.<driver>/node.
//
// Parameters of a StorageClass, VolumeSnapshotClass or VolumeGroupSnapshotClass ask for trouble:
//
//	test/delay: 3s                      the call takes that long
//	test/fail: text                     the call fails with that text, for ever
//	test/fail-while-file-exists: /path  the call fails until somebody removes the file
//	test/ready-after: 5s                the VolumeSnapshot is cut at once and ready to use that much later
package csidriver
