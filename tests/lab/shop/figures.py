"""The shop's business figures: one look at the tables, and what is computed from it."""

from __future__ import annotations

BUSINESS_SQL = """
SELECT
  (SELECT count(*) FROM conversations WHERE started_at > now() - interval '1 hour'),
  (SELECT count(*) FROM conversations WHERE last_at > now() - interval '5 minutes'),
  (SELECT coalesce(avg((status = 'replied')::int), 1) FROM messages
    WHERE created_at > now() - interval '5 minutes'),
  (SELECT coalesce(avg(extract(epoch FROM replied_at - created_at)), 0) FROM messages
    WHERE created_at > now() - interval '5 minutes'),
  (SELECT coalesce(avg(satisfaction), 4.5) FROM conversations),
  (SELECT count(*) FROM messages WHERE created_at > now() - interval '1 hour'),
  (SELECT count(*) FROM bookings WHERE created_at > now() - interval '1 hour'),
  (SELECT coalesce(sum(amount), 0) FROM bookings WHERE created_at > now() - interval '1 hour')
"""


def figures(
    started: float,
    active: float,
    rate: float,
    answer: float,
    stars: float,
    messages: float,
    bookings: float,
    revenue: float,
) -> list[tuple[str, str, float, str]]:
    """(kind, name, value, unit) of every figure, from the row of `BUSINESS_SQL`.

    Conversion is bookings per message of the same hour: a message makes one booking at most. Conversations that began
    in that hour will not do, because customers come back and book in old ones.
    """
    return [
        ("conversation", "conversations_started", started, "count/h"),
        ("conversation", "active_conversations", active, "count"),
        ("engagement", "response_rate", round(rate * 100, 1), "%"),
        ("performance", "average_response_time", round(answer, 3), "s"),
        ("satisfaction", "satisfaction", round(stars, 2), "stars"),
        ("lead", "lead_score", round(40 + min(active, 60) / 2, 1), "points"),
        ("booking", "booking_conversion", round(100 * bookings / max(messages, 1), 1), "%"),
        ("revenue", "revenue", revenue, "BRL/h"),
        ("cost", "cost_per_conversation", round(0.42 + 0.01 * answer, 3), "BRL"),
        ("engagement", "handoff_rate", round(100 * (1 - rate), 1), "%"),
    ]
