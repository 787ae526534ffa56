package cli

import "golang.org/x/sys/unix"

// machineMemory is the memory of this machine in bytes; 0: it is not known.
func machineMemory() int64 {
	var si unix.Sysinfo_t
	if unix.Sysinfo(&si) != nil {
		return 0
	}
	return int64(si.Totalram) * int64(si.Unit) //nolint:gosec,unconvert,nolintlint // the machine's memory fits; types differ by platform
}
