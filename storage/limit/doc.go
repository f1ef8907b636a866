// Package limit limits the use of a Bucket: bytes per second in each direction, and how many operations run at once.
//
// # Bytes
//
// Each direction has a token bucket, with one token for each byte. It fills at the allowed rate and holds a tenth of a
// second's worth. Bytes that are read are paid for when they arrive, in small parts, so that the connection's own flow
// control slows the sender down. Bytes that are written are paid for before they are sent, and again if they must be
// sent again: only the Bucket underneath knows about its retries, so it gets the pace to ask (storage.PacedPutter).
// Only the content of objects counts; headers and listings are small beside it.
//
// # Operations
//
// A slot is held for as long as an operation lasts: for a Get until the reader is closed; for a List not while it calls
// back. Whoever copies inside the bucket reads from a Get while Puts wait for a slot, and whoever holds a lock must get
// its small Put done in time however much else is queued. So neither Gets nor large Puts may take the last slot, and
// there are at least two. Nobody may wait for a second Get while holding a first one open.
package limit
