// Package deploy is the folder of the manifests; its tests check that they match docs/install.md and docs/rbac.md.
//
//   - base: the namespace, the ServiceAccount, and the ClusterRole with everything that stsbackup may do
//   - overlays/scheduler: base, and the scheduler
//   - overlays/cronjob: base, and the CronJobs of folder cronjob
//   - overlays/namespaced: the same CronJobs with rights in one namespace only
//
// The end-to-end tests check what a real API server makes of them.
package deploy
