// Command demo shows the main job on a real cluster, as a story: two StatefulSets with data of their own in every
// ordinal, a backup to S3, a disaster that takes all their volumes, a restore, and a comparison of every page and key.
// It ends with exit code 0 only if every comparison held.
//
// It needs what `make cluster-up` and `make build` make; `make demo` does all of it.
package main
