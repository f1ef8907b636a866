// Package watch keeps up which StatefulSets a cluster has, for the scheduler, and tells people what became of their backups.
//
// StatefulSets are listed once and watched from then on, by one shared informer; so are namespaces, but only when a policy
// asks for their labels, which not everyone may read. Of each object nothing is kept but what the scheduler looks at, and
// changes of anything else wake nobody. The informers list again by themselves after a watch has broken off: an API server
// that restarts is only a pause.
//
// Events are on the StatefulSets, where people look for them.
package watch
