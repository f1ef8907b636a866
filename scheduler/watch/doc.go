// Package watch follows which StatefulSets a cluster has, for the scheduler, and tells people what became of their
// backups.
//
// One shared informer lists StatefulSets once and watches them from then on. Another does so for namespaces, but only
// if a policy asks for their labels, which not everyone may read. The informers keep only those parts of an object that
// the scheduler looks at, and changes of other parts wake nobody. After a watch has broken off, they list again by
// themselves: an API server that restarts is only a pause.
//
// Events are on the StatefulSets, where people look for them.
package watch
