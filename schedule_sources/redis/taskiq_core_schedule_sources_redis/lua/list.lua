-- The time of the last change, and all entries.
return {redis.call('GET', CHANGED), redis.call('HVALS', SCHEDULES)}
