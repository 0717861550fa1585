package supervise

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// identity names a process for good: its number alone is given to others after its end.
type identity struct {
	PID int `json:"pid"`
	// Start is when it was started, in clock ticks since boot (proc(5), /proc/pid/stat, field 22).
	Start uint64 `json:"start"`
	Boot  string `json:"boot"`
}

func identify(pid int) (identity, error) {
	st, err := readStat(pid)
	if err != nil {
		return identity{}, err
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return identity{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	return identity{PID: pid, Start: st.start, Boot: strings.TrimSpace(string(boot))}, nil
}

type stat struct {
	state   byte
	parent  int
	session int
	start   uint64
}

// readStat reads /proc/pid/stat. The program's name in it may hold anything, so fields count from the last ")".
func readStat(pid int) (stat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(data))
}

func parseStat(text string) (stat, error) {
	end := strings.LastIndexByte(text, ')')
	if end < 0 {
		return stat{}, fmt.Errorf("process status %q has no name", text)
	}
	fields := strings.Fields(text[end+1:]) // the first is field 3
	if len(fields) < 20 {
		return stat{}, fmt.Errorf("process status %q is too short", text)
	}
	parent, err := strconv.Atoi(fields[1])
	if err != nil {
		return stat{}, fmt.Errorf("process status: parent: %w", err)
	}
	session, err := strconv.Atoi(fields[3])
	if err != nil {
		return stat{}, fmt.Errorf("process status: session: %w", err)
	}
	start, err := strconv.ParseUint(fields[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("process status: start time: %w", err)
	}
	return stat{state: fields[0][0], parent: parent, session: session, start: start}, nil
}
