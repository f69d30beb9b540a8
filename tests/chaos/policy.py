"""The policy under which a run is played."""

POLICY = """
version: 1
defaults:
  alerts: {issued: true, paid: true}
  contact_hours: {start: "00:00", end: "24:00", days: [mon, tue, wed, thu, fri, sat, sun], holidays: false}
  scan_at: "23:59"
  brake:
    hold_back_book: false
    usual_times: 0
    usual_floor: 1000000
    per_tenant_per_hour: 1000000
    per_installation_per_hour: 1000000
"""
"""Nothing is held and nothing waits for an hour: what is not sent at once is a finding."""
