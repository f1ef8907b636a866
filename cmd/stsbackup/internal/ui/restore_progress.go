package ui

import (
	"github.com/stsbackup/stsbackup/internal/report"
	"github.com/stsbackup/stsbackup/restore"
)

// Restore shows a running restore. After Close it draws nothing any more, and the caller can print the result.
type Restore struct{ operation }

// NewRestore shows on a screen how a restore carries out a plan.
func NewRestore(screen Screen, plan *restore.Plan) *Restore {
	var claims []string
	for _, v := range plan.Volumes {
		claims = append(claims, v.Claim)
	}
	return &Restore{operation{
		printer: newVolumePrinter(screen, claims), copying: "restoring", copied: "restored", line: func(p report.Progress) any { return p },
	}}
}
