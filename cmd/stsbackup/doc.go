// Command stsbackup backs up StatefulSets to S3-compatible storage and brings them back.
//
// There is one file per verb. Each turns its flags into a typed request, hands that to an engine (packages backup,
// restore, storage/archive) and prints what comes back: results on standard output, everything else on standard
// error. Only main ends the process; exit.go alone turns errors into exit codes.
package main
