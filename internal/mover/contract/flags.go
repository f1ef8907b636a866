package contract

import "strings"

// Flags defines flags; *pflag.FlagSet implements it.
type Flags interface {
	StringVar(p *string, name, value, usage string)
	StringSliceVar(p *[]string, name string, value []string, usage string)
	BoolVar(p *bool, name string, value bool, usage string)
	IntVar(p *int, name string, value int, usage string)
	// MarkHidden leaves a flag out of the help. It fails if there is no such flag.
	MarkHidden(name string) error
}

// Bind defines the flags for the password and for the result.
func (c *Common) Bind(flags Flags) {
	BindPassword(flags, &c.PasswordFile)
	flags.StringVar(&c.ResultFile, FlagResultFile, "",
		"write the result as JSON to this `file`, and progress as JSON lines to standard output: for movers")
	flags.StringVar(&c.Operation, FlagOperation, "", "what the lock on the repository says of its holder")
	hide(flags, FlagOperation) // people's locks name no operation
}

// BindPassword defines the flag for the file with the password.
func BindPassword(flags Flags, file *string) {
	flags.StringVar(file, FlagPasswordFile, "", "`file` with the password of this one repository, in place of the root password")
}

// Bind defines the flags of a mover that saves a volume, except those that other commands have too.
func (a *BackupArgs) Bind(flags Flags) {
	a.Common.Bind(flags)
	BindClaim(flags, &a.Claim)
	flags.StringVar(&a.As, FlagAs, "", "`NAMESPACE/STATEFULSET` that the volume belongs to")
	flags.StringVar(&a.RecoveryPoint, FlagRecoveryPoint, "",
		"`id` of the recovery point that this volume belongs to; without it, the backup belongs to none")
	flags.IntVar(&a.Ordinal, FlagOrdinal, NoOrdinal, "`number` of the claim's ordinal")
	flags.BoolVar(&a.ForceRead, FlagForceRead, false, "read all files, even those that seem unchanged since the last backup")
}

// Bind defines the flags of a mover that fills a volume, except those that other commands have too.
func (a *RestoreArgs) Bind(flags Flags) {
	a.Common.Bind(flags)
	BindClaim(flags, &a.Claim)
	BindSnapshot(flags, &a.RepositorySnapshot)
	flags.BoolVar(&a.IntoEmpty, FlagIntoEmpty, false,
		"fail unless the directory is empty, or holds only what an unfinished restore with this flag has left")
	flags.BoolVar(&a.TakeBack, FlagTakeBack, false,
		"remove everything from the directory, if it is what a restore with --into-empty has put there")
	flags.StringVar(&a.IntoClaim, FlagIntoClaim, "", "`namespace/name` of the claim whose volume the directory is")
	flags.StringSliceVar(&a.Resumes, FlagResumes, nil, "`operations` whose unfinished work in the directory may be removed")
	hide(flags, FlagTakeBack, FlagIntoClaim, FlagResumes) // not for people
}

// Bind defines the flags of a mover that checks whether movers can do their work, except those that other commands have too.
func (a *ProbeArgs) Bind(flags Flags) {
	a.Common.Bind(flags)
	flags.StringSliceVar(&a.RepositorySnapshots, FlagSnapshot, nil, "`ids` of repository snapshots that must be there")
	flags.BoolVar(&a.Write, FlagWrite, false, "also check whether the repository can be written")
}

// BindClaim defines the flag for the claim.
func BindClaim(flags Flags, claim *string) {
	flags.StringVar(claim, FlagClaim, "", "`name` of the volume's claim, such as www-web-0")
}

// BindSnapshot defines the flag for the repository snapshot to use, as long as no recovery point's record can name it.
func BindSnapshot(flags Flags, snapshot *string) {
	flags.StringVar(snapshot, FlagSnapshot, "",
		"`id` (64 hex digits) of the repository snapshot to use, whatever recovery point it belongs to")
}

// hide leaves flags out of the help.
func hide(flags Flags, names ...string) {
	for _, name := range names {
		_ = flags.MarkHidden(name) // it fails only for flags that do not exist, and Bind has just defined these
	}
}

// quoted quotes a value so that a flag that takes a comma-separated list reads it as one value.
func quoted(value string) string {
	if !strings.ContainsAny(value, "\",\r\n") {
		return value
	}
	return `"` + strings.ReplaceAll(value, `"`, `""`) + `"`
}
