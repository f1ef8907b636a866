// Package contract is what the engine that starts a mover and the mover itself must agree on: the arguments of the mover's command,
// the places in its container, the names of its files, its exit code and the variables in its environment.
//
// A mover is the command "stsbackup volume" with one of the verbs backup, restore and probe. For each verb there is a type of
// arguments with two ends: Args spells the command line, for the engine; Bind defines the flags that read it again, for the mover's
// command. Both take the names of the flags from here. Flags that other commands have too (FlagRepo, FlagCompression, FlagRetryLock)
// are defined by the command, under the name that is given here; a test of the command holds that it reads what Args has spelled.
//
// An argument that is empty is not spelled. A list is one flag for each of its values, so that a value may hold a comma.
//
// The package imports nothing else of this module, so that internal/cluster, which builds the pod, can use it.
package contract
