// Package storagetest is shared by tests of buckets, and by tests that use buckets.
//
//   - Memory is a Bucket in memory, strict wherever the contract lets a medium choose.
//   - Contract is the suite that every Bucket must pass; it checks each obligation in the doc comment of storage.Bucket.
//   - Faulty wraps a Bucket and makes its n-th operation fail in a planned way. A test of crash safety runs its
//     workload once to count the operations, then once more for each of them and each way to fail, and checks
//     after every run what is left in the bucket. Fired tells a fault that happened from one that was only
//     planned: a run whose fault never fired has tested nothing.
//   - Package odds3 is an S3 server with the oddities of real services.
package storagetest
