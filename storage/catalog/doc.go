// Package catalog knows the recovery points of a StatefulSet: which there are, what is in each, and when one exists.
//
// Every StatefulSet has a repository of its own below the root bucket, at <namespace>/<statefulset>/, opened by a
// password that is derived from the root password (Password), so that whoever is handed the one of a StatefulSet can
// open no other.
//
// A recovery point is a set of repository snapshots with a common tag rp=<id>: one for each volume, and one more, the
// record, which also has the tag record and holds record.json and manifests/*.yaml. The order of writes is what
// makes it safe: data first, record last. Commit refuses to write a record that names data which is not there, so a
// recovery point exists, whole as its record says, exactly when its record does; repository snapshots with a tag rp
// and no record are what an interrupted backup left. Forget goes the other way round, the record first, so that a
// recovery point is never half there. Points lists all that there is, for those who choose what to forget.
//
// Records are read strictly: one of a later version of stsbackup is refused rather than half understood.
package catalog
