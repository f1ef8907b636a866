// Package deploy is the folder of the manifests; its tests hold them to what docs/install.md and docs/rbac.md say.
//
//   - base: the namespace, the ServiceAccount, and the ClusterRole with all that stsbackup may do
//   - overlays/scheduler: base, and the scheduler
//   - overlays/cronjob: base, and the CronJobs of folder cronjob
//   - overlays/namespaced: the same CronJobs with rights in one namespace only
//
// What a real API server makes of them is for the end-to-end tests.
package deploy
