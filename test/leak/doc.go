// Package leak looks for secrets where none belong, while tests run against a real cluster.
//
// A Collector learns the secrets (Guard) and looks, both at any time and in any order, at
//
//   - every object of the API server except Secrets, as it is when a watch begins and after every change: manifests, Job
//     specs, Events, ConfigMaps, Leases, custom resources;
//   - the log of every container, followed from the moment when it runs;
//   - the command line of every process of this machine, sampled while it runs, which with a cluster on this machine
//     includes the processes of all its pods;
//   - any texts that its user passes to it: the output of programs, log files.
//
// It looks for a secret as it is, and as base64 (wherever in a longer text), hexadecimal, URL and JSON would write it.
// It does not keep what it has seen before it learned of a secret, so tell it a secret before you use that.
//
// A test proves on the spot that it finds what is there: it plants a secret made for the purpose in each place, and
// waits until the Collector has found it there.
package leak
