function delay() return 9 end
