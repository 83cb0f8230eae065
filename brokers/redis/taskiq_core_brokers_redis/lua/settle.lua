-- Carries out verdicts and stores results. A verdict on an entry that is gone changes nothing: whatever is delivered again is a
-- new entry, so that nobody who lost a message has a say in it.
-- ARGV: parts that begin with the name of a step
while at <= #ARGV do
  at = at + steps[ARGV[at]]()
end
return 1
