package ui

import (
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/restore"
)

// Restore shows a restore under way. After Close nothing is drawn any more, and the result can be printed.
type Restore struct{ operation }

// NewRestore shows on a screen how a plan is carried out.
func NewRestore(screen Screen, plan *restore.Plan) *Restore {
	var claims []string
	for _, v := range plan.Volumes {
		claims = append(claims, v.Claim)
	}
	return &Restore{operation{
		printer: newVolumePrinter(screen, claims), copying: "restoring", copied: "restored", line: func(p report.Progress) any { return p },
	}}
}
