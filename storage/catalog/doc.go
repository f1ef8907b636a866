// Package catalog knows the recovery points of a StatefulSet: which there are, what is in each, and when one exists.
//
// Every StatefulSet has a repository of its own below the root bucket, at <namespace>/<statefulset>/. Its password is
// derived from the root password (Password), so whoever gets the password of one StatefulSet can open no other's
// repository.
//
// A recovery point is a set of repository snapshots with a common tag rp=<id>: one for each volume, and one more, the
// record, which also has the tag record and holds record.json and manifests/*.yaml. The order of writes makes it safe:
// data first, record last. Commit refuses to write a record that names missing data. So a recovery point exists, as
// complete as its record says, exactly when its record does; repository snapshots with a tag rp and no record are
// leftovers of an interrupted backup. Forget goes the other way round, the record first, so that a recovery point is
// never half there. Points lists everything, for callers that choose what to forget.
//
// Records are read strictly: a record of a later version of stsbackup is refused rather than half understood.
package catalog
