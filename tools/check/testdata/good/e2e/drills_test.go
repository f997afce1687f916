package e2e

const soon = "CertificateExpiringSoon"

var drills = []struct{ alert, branch string }{
	{alert: soon, branch: "If Using Let's Encrypt"},
	{alert: "BackupTooOld", branch: `If the timer was stopped`},
	{alert: "DisasterRecovery", branch: "If The Volume Is Lost"},
}
