// Package holder is the first process of the cluster's namespaces: it makes the world inside, starts every component in
// it, and stays.
//
// The harness on the host starts it in new network, mount, PID, UTS and IPC namespaces and hands it four things: a
// lifeline (package cage), on which the harness says that the holder may stay; a pipe for its reports; and the two
// listening sockets of the host's loopback (package proxy).
//
//  1. The world: mounts become private, /proc the namespace's own. Empty folders hide what components share by fixed paths (/run,
//     /var/lib, /var/log). The host sees nothing of any mount, address or rule that follows.
//  2. Keys and configuration files; the pods' bridge; the filesystem with reflinks on a loop device that detaches itself.
//  3. etcd and the API server beside containerd and the first images; then everything else at once. The holder waits for each until
//     it shows that it works.
//  4. The holder reports Ready only when a Service name resolves, S3 answers behind its Service, NetworkPolicies have rules for its
//     pod, and the CSI driver is registered on every node.
//  5. On a socket, tests can ask it to end one component, and to start it again: they want to see what a restart of the API server
//     does to others.
//  6. Until the lifeline has said "stay", its end ends us; after that only a signal does. We are the first process of the PID
//     namespace, so our end is the end of every process in it, and with the last process go the mounts, the addresses and the rules.
package holder
