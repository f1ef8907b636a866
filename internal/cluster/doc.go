// Package cluster does what backup and restore both need from Kubernetes: it identifies the cluster, and handles the
// claims of a StatefulSet, VolumeSnapshots, temporary claims, movers, and the Lease that keeps two operations on one
// StatefulSet apart.
//
// An Operation is one run of backup or restore. Everything that an operation makes in the cluster carries its labels and
// a name derived from its id. So a later operation can tell what a killed process left behind from what a living one needs:
//
//   - Acquire takes the StatefulSet's Lease and renews it in the background. A living holder shows that it lives by
//     renewing. If a holder has not renewed for the Lease's duration, measured by our own clock alone, Acquire takes it
//     for dead and replaces it. If the holder needs the Lease only briefly, to remove data from the repository, Acquire
//     waits for it.
//   - Sweep, called with the Lease held, removes what other operations on the same StatefulSet left behind. Cleanup
//     removes what this operation made. Both delete in the order that Kubernetes enforces: Jobs with their pods (a
//     finished pod still protects the claim that it mounted), temporary claims with their volumes (a VolumeSnapshot
//     cannot go while a claim is being filled from it), VolumeSnapshots, ServiceAccounts. Kubernetes removes the
//     Secrets together with the Jobs that own them; a sweep never looks at them.
//   - Both delete only what one of our operations made. Labels prove nothing, because anybody can copy them. So both
//     compute anew, from an object's labels and annotations, the name that the operation would have given it. They
//     delete an object only if it has that name and the shape of ours, and only as they looked at it (UID and
//     resourceVersion). RunMover makes nothing that a sweep would not recognize.
//   - Both have a time limit, say within 10 s what they wait for, and return what does not go as Leftovers: a pod on a
//     node that is cut off stays until the node is back. The engines decide whether a Leftover blocks them.
//   - Both also delete the data behind what they delete. To do so they first tie a VolumeSnapshot to its content, and
//     switch a content, or a temporary claim's volume, from Retain to Delete.
//
// RunMover runs one mover. It waits for the claim, if the claim's class binds without a pod. It creates a suspended Job
// and a Secret owned by that Job, resumes the Job, follows its log, returns its termination message, and removes Job, pod
// and Secret again. If a mover does not start, RunMover reports what Kubernetes itself says about it: scheduling
// conditions, waiting reasons, and events of the pod, of its Job and of the claim that it mounts. RunMover does not wait
// for what admission has refused for good.
//
// While the mover runs:
//
//   - RunMover follows the log through every broken stream and passes each line on once: the kubelet's timestamps say
//     where to go on.
//   - The mover must make progress. Lines of its log say how far it is (MoverConfig.Sign). RunMover gives up on a mover
//     whose mark stays the same for too long, but first asks for the log once more: neither a dead stream nor an API
//     server that is away means that the mover has stalled.
//   - RunMover renews credentials that expire, in a new Secret under the same name. Movers need the rights to create and
//     delete Secrets anyway. The right to change Secrets would let its holder change everybody's, and with patch also
//     read them.
//
// ProbeMover runs a mover without a volume, to find out whether movers can do their work.
//
// # Two holders never believe at once
//
// A holder believes in its Lease for 10 s, counted from when it *sent* its last successful request. A newcomer takes a
// Lease over only if the Lease has not changed for 15 s, counted from when the newcomer *received* it. For this reason
// two holders never believe at once, however long requests and answers take:
//
//   - The holder sends a renewal at time s, and the server carries it out at time a, so s ≤ a. It does not matter when
//     the answer arrives: the answer tells the state at a, and the holder counts from s. The holder believes until s+10.
//   - The newcomer receives the Lease, as that renewal left it, at time o, so a ≤ o. The newcomer sends its update, with
//     the version that it received, at o+15 at the earliest. The update succeeds only if nothing has changed the Lease
//     since. Any renewal carried out before the update, even one that was long on its way, makes the update fail, and
//     the newcomer starts over.
//   - So the server carries out the newcomer's update at o+15 ≥ a+15 ≥ s+15 at the earliest, 5 s after the holder
//     stopped believing. One clock measures each of the two spans. So the two clocks need not agree; they only have to
//     run equally fast, to within a third.
//   - A renewal that arrives after the update fails because of its version, and its answer shows the holder who has the
//     Lease now.
//
// A holder that deletes its Lease stops believing before it sends that request. A person ends an operation by deleting
// its Lease: the holder stops when it next looks, at the latest when its belief ends. The server may carry out later what
// the holder sent while it believed. Therefore every request that changes something names the UID or the version that it
// means.
//
// # When the API server is away
//
// The API server may be away for up to 15 minutes without ending an operation. Belief ends after its 10 s as always, but
// the holder does not yet give the Lease up. The Lease is lost only when the holder sees that somebody else has it, when
// it is gone, or after those 15 minutes. As soon as the server is back, the holder renews the Lease, if nobody has taken
// it. The old holder comes first, because newcomers count only the time in which they could ask the server.
//
// The contexts of a Lease carry the Lease to the transport (outage.go). There, requests that change something wait until
// the holder believes again, and the transport retries requests that fail because the server is out of reach. Time limits
// do not count the time of an outage. Movers need no API server and run on. None of this holds back changes made
// elsewhere, such as in a bucket: make those with a context from Assured.
//
// # Waiting
//
// Waits watch the API server, and list again whenever a watch ends or has been quiet for long. Every wait ends with its
// context. Decisions (which class, what state is this pod or VolumeSnapshot in, which name, which labels) are pure
// functions. This package knows nothing of repositories: it passes the results of movers through as bytes.
package cluster
