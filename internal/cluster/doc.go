// Package cluster is what backup and restore both ask of Kubernetes: who the cluster is, the claims of a
// StatefulSet, VolumeSnapshots, temporary claims, movers, and the Lease that keeps two operations on one StatefulSet
// apart.
//
// An Operation is one run of backup or restore. Everything it makes in the cluster carries its labels and a name
// derived from its id, so that what a killed process leaves behind can be told from what a living one needs:
//
//   - Acquire takes the StatefulSet's Lease and renews it in the background. A holder that is alive shows it by renewing; one
//     that stays still for the Lease's duration, measured by our own clock alone, is dead and is replaced. One that has
//     the Lease only briefly, to remove data from the repository, is waited for.
//   - Sweep, called with the Lease held, removes what other operations on the same StatefulSet have left, and
//     Cleanup what this one has made. Both go in the order that Kubernetes enforces: Jobs with their pods (a
//     finished pod still protects the claim that it mounted), temporary claims with their volumes (a
//     VolumeSnapshot cannot go while a claim is being filled from it), VolumeSnapshots, ServiceAccounts. Secrets go
//     with the Jobs that own them: nobody looks at them.
//   - Both delete only what an operation of ours has made. Anybody can copy labels, so they prove nothing: the name
//     that the operation gives to the object of that claim is computed anew from labels and annotations, and only the
//     object that has it, and the shape of ours, is deleted, exactly as it was looked at (UID and resourceVersion).
//     RunMover makes nothing that a sweep would not know.
//   - Both have a limit, say within 10 s what they wait for, and return what does not go as Leftovers: a pod on a node
//     that is cut off stays for as long as that is so. The engines decide whether it blocks them.
//   - Both also delete the data behind what they delete: they first tie a VolumeSnapshot to its content, and switch a content
//     or a temporary claim's volume that would be retained to Delete.
//
// RunMover runs one mover: its claim awaited, if that is bound without a pod; a Job made suspended, its Secret owned by
// that Job, the Job resumed, its log followed, its termination message returned, and Job, pod and Secret removed again.
// A mover that does not start is reported with what Kubernetes itself says about it: scheduling conditions, waiting
// reasons, events of the pod, of its Job and of the claim it mounts. What admission refuses for good is not waited for.
//
// While it runs:
//
//   - The log is followed through whatever breaks its streams, each line once: the kubelet's times say where to go on.
//   - It must make progress. Lines of the log say how far it is (MoverConfig.Sign). RunMover gives up on a mover whose mark stays
//     the same for too long, but only after it has asked for the log once more: neither a dead stream nor an API server that is
//     away means that the mover stands still.
//   - What it was given is renewed if it expires, in a Secret that is made anew under the same name: to create and delete
//     Secrets are rights that movers take anyway, while the right to change them would let their holder change, and with
//     patch read, everybody's.
//
// ProbeMover runs one without a volume, which finds out whether movers can do their work.
//
// # Never two who believe
//
// A holder believes in its Lease for 10 s from the moment at which it *sent* the last request that succeeded; a newcomer takes a
// Lease over only if it has not changed for 15 s since the newcomer *received* it. Why there are never two, however long
// requests and answers take:
//
//   - The holder sends a renewal at s, the server carries it out at a, so s ≤ a. When the answer comes does not matter: it says how
//     things were at a, and the holder reckons with s. It believes until s+10.
//   - The newcomer receives the Lease, as that renewal left it, at o, so a ≤ o. It sends its update, with the version that it has
//     received, at o+15 at the earliest. That succeeds only if nothing has changed the Lease since: any renewal before it, also
//     one that was long on its way, makes it fail, and the newcomer begins anew.
//   - So the newcomer's update is carried out at o+15 ≥ a+15 ≥ s+15 at the earliest, 5 s after the holder has stopped. Each of
//     the two spans is measured by one clock; clocks need to go equally fast, to a third, and not to agree.
//   - A renewal that comes after the update fails by its version, and shows the holder whose the Lease is.
//
// A Lease that its holder deletes is not believed in from before that request is sent. When a person deletes it, which is how to end
// an operation, the holder stops when it looks next, at the latest when its belief ends. What the holder has sent while it believed may
// still be carried out later than that: therefore what changes something names the UID or the version that it means.
//
// # An API server that is away
//
// It may be, for up to 15 minutes, without ending an operation. Belief ends, as always; the Lease does not: it is lost only when
// somebody else is seen to have it, when it is gone, or after that time. It is renewed as soon as the server is back, if
// nobody has taken it; and since newcomers count only the time in which they could ask the server, the old holder comes
// first. The contexts of a Lease carry it to the transport (outage.go), where what changes something waits for belief, and where
// what fails because the server is out of reach is tried again. Limits do not count the time of an outage. Movers need no API server,
// and run on. What is changed elsewhere, in a bucket, is held back by nothing of that: it is done with a context of Assured.
//
// # Waiting
//
// Waiting is done by watching, with a fresh list whenever a watch ends or has been quiet for long; every wait ends
// with its context. Decisions (which class, what state is this pod or VolumeSnapshot in, which name, which labels)
// are pure functions. This package knows nothing of repositories: results of movers pass through as bytes.
package cluster
