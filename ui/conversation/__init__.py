"""What the Session tab shows besides plan and results: turns, sessions, chips of files, samples; without widgets."""
