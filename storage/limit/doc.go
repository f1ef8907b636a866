// Package limit keeps the use of a Bucket within bounds: bytes per second in each direction, and how many operations
// are under way at once.
//
// # Bytes
//
// Each direction has a bucket of tokens, one for each byte, which fills at the rate that is allowed and holds a tenth
// of a second's worth. What is read is paid for when it arrives, in small parts, so that the sender is held up by the
// connection's own flow control. What is written is paid for before it is sent, and again if it has to be sent again:
// only the Bucket underneath knows of its retries, so it is handed the till (storage.PacedPutter). Only the content of
// objects counts, neither headers nor listings, which are small beside it.
//
// # Operations
//
// A slot is held for as long as an operation lasts: until the reader is closed for a Get; not while a List calls back.
// Whoever copies inside the bucket reads from a Get while Puts wait for a slot, and whoever holds a lock must get its
// small Put done in time however much else is queued. So neither Gets nor large Puts may take the last slot, and there
// are at least two. Nobody may wait for a second Get while holding a first one open.
package limit
