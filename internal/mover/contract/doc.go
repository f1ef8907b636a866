// Package contract defines what a mover and the engine that starts it must agree on: the arguments of the mover's command, the
// places in its container, the names of its files, its exit code and the variables in its environment.
//
// A mover is the command "stsbackup volume" with one of the verbs backup, restore and probe. For each verb there is a type of
// arguments with two ends: Args spells the command line, for the engine; Bind defines the flags that read it again, for the mover's
// command. Both take the names of the flags from here. The command itself defines flags that other commands have too (FlagRepo,
// FlagCompression, FlagRetryLock), under the names given here; a test of the command checks that it reads what Args has spelled.
//
// Args leaves out empty arguments. It writes a list as one flag for each value, so that a value may contain a comma.
//
// The package imports nothing else of this module, so that internal/cluster, which builds the pod, can use it.
package contract
