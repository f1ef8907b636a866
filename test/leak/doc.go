// Package leak looks for secrets where none belong, while tests run against a real cluster.
//
// A Collector is told the secrets (Guard), in any order with what it sees, and sees
//
//   - every object of the API server but Secrets, as it is when a watch begins and after every change: manifests, Job
//     specs, Events, ConfigMaps, Leases, custom resources;
//   - the log of every container, followed from the moment when it runs;
//   - the command line of every process of this machine, sampled while it runs, which with a cluster on this machine
//     includes the processes of all its pods;
//   - whatever texts its user hands it: the output of programs, log files.
//
// It looks for a secret as it is, and as base64 (wherever in a longer text), hexadecimal, URL and JSON would write it. What
// it has seen before it was told of a secret is not kept, so a secret must be told before it is used.
//
// That it finds what is there is shown on the spot: a test plants a secret made for the purpose in each place, and
// waits until it has been found there.
package leak
