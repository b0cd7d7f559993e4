// SPDX-FileCopyrightText: The flatten authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"time"
)

// age is a duration as Docker says it: "3 weeks", "About an hour".
func age(d time.Duration) string {
	const day, week, month, year = 24, 7 * 24, 30 * 24, 365 * 24
	seconds, minutes, hours := int(d.Seconds()), int(d.Minutes()), int(d.Hours()+0.5)
	switch {
	case seconds < 1:
		return "Less than a second"
	case seconds == 1:
		return "1 second"
	case seconds < 60:
		return fmt.Sprintf("%d seconds", seconds)
	case minutes == 1:
		return "About a minute"
	case minutes < 60:
		return fmt.Sprintf("%d minutes", minutes)
	case hours == 1:
		return "About an hour"
	}
	for _, u := range []struct {
		hours, below int
		name         string
	}{{1, 2 * day, "hours"}, {day, 2 * week, "days"}, {week, 2 * month, "weeks"}, {month, 2 * year, "months"}} {
		if hours < u.below {
			return fmt.Sprintf("%d %s", hours/u.hours, u.name)
		}
	}
	return fmt.Sprintf("%d years", int(d.Hours())/year)
}

// dockerSize is a size as Docker prints it: three digits, powers of 1000.
func dockerSize(n int64) string {
	value, unit := float64(n), "B"
	for _, unit = range []string{"B", "kB", "MB", "GB", "TB", "PB", "EB"} {
		if value < 999.5 {
			break
		}
		value /= 1000
	}
	return fmt.Sprintf("%.3g%s", value, unit)
}
